"""The least that a page can be: what a rerun of it costs is the floor under every page of the dashboard."""

from __future__ import annotations

import streamlit as st

st.set_page_config(page_title="empty", layout="wide")
st.write("Nothing else.")
