"""The format on disk: schema, layout, quantisation, chunks and the HDF5 files themselves."""
