"""The Streamlit app: thin pages over `dvt_core`, started by `streamlit run app/asgi.py`."""
