"""Inside."""

import streamlit as st

from app.language import say

st.title(say("Inside"), anchor=False)
st.markdown(say("What does a later stage take over from an earlier one?"))
