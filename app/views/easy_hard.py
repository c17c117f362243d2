"""Easy & hard."""

import streamlit as st

from app.language import say

st.title(say("Easy & hard"), anchor=False)
st.markdown(say("Which pictures need a closer look?"))
