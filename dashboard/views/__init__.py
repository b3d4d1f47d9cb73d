"""The pages. Each file is run by Streamlit when its page is opened, from top to bottom; nothing imports them."""
