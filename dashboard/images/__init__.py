"""Arrays to images, without Streamlit: colours and scales of maps, atlases and sheets."""
