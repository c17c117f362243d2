"""Where a picture comes from, and how it is kept: choosers, uploads, data sets, thumbnails."""
