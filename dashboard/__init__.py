"""The dashboard: every question about a recorded run, answered from the store alone.

One direction of dependence: view -> state and data -> charts, images and components. Views read like their page;
`state` is the only reader and writer of the URL, `data` the only place that caches, `charts` and `images` are pure
and know nothing of Streamlit. Run it with `streamlit run dashboard/app.py`.
"""
