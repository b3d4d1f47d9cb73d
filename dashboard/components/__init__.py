"""Elements that Streamlit does not have: images with maps, a matrix, a playing wall, a grid to paint, a clipboard.

Each is a Python wrapper beside its JavaScript and CSS (`st.components.v2`). The browser enlarges the maps and applies
the colour map, so a gallery is one message of a few kilobytes, and overlay and zoom need no round trip. All text
reaches the page through `textContent`, never as HTML.
"""
