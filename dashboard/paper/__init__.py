"""The paper's figures over a recorded run, as vector graphics; no Streamlit."""
