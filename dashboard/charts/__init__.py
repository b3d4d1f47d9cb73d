"""Charts as pure functions: a tidy DataFrame in, an Altair chart out. No Streamlit, no store."""
