"""Every equation of Classprint, coded once, in pure numpy.

`maps` and `correction` look at class maps, the other modules at columns that were derived from them. Nothing here reads
a file, knows of a run or imports torch: a measure means the same in the recorder, in the analysis and on a page.
Axes are always epoch, variant, image, class, y, x; every function is batched over the leading ones.
"""
