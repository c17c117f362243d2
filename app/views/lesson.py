"""Lesson."""

import streamlit as st

from app.language import say

st.title(say("Lesson"), anchor=False)
st.markdown(say("Show me, step by step."))
