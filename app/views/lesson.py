"""Lesson: ten steps on the running model, to be shown to a class or read alone."""

import streamlit as st

from app.language import say
from app.model_choice import current_bundle
from app.sections.handout import handout_section
from app.sections.lesson import draw_step
from app.teach.lesson import open_step, steps
from app.teach.presenter import is_presenting, lesson_bar

lesson = steps()
number = open_step(len(lesson))
if not is_presenting():
    st.title(say("Lesson"), anchor=False)
    st.markdown(say("Show me, step by step."))
lesson_bar([step.title for step in lesson], number)

bundle = current_bundle()
draw_step(bundle, lesson, number)
if not is_presenting():
    handout_section(bundle)
