"""`Recorder` in the training loops of other libraries; each module needs its own library."""
