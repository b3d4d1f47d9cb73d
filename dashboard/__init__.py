"""The dashboard: every question about a recorded run, answered from the store alone.

One direction of dependence: a page -> url_state and data -> charts, images and components. A page reads from top to
bottom as it looks; `shell/url_state.py` is the only reader and writer of the URL, `data.py` the only module that asks
the store, and charts and images are pure and know nothing of Streamlit. Run it with `streamlit run dashboard/app.py`.
"""
