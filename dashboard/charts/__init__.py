"""Charts as pure functions: a tidy DataFrame in, a `Figure` out. No Streamlit, no store.

Every chart function also takes `palette`, the colours for the reader's background; without one it draws on white.
"""
