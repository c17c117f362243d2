"""Batch."""

import streamlit as st

from app.language import say

st.title(say("Batch"), anchor=False)
st.markdown(say("Are *my* pictures easy?"))
