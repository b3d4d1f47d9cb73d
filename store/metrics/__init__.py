"""Every equation of Classprint, coded once, in pure numpy.

`maps`, `correction`, `clusters` and `localisation` measure class maps, the other modules columns derived from them.
Nothing here reads a file, knows of a run or imports torch: a measure means the same in the recorder, in the analysis
and on a page. Axes are always epoch, variant, image, class, y, x; every function is batched over the leading ones.
"""
