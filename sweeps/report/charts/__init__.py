"""Charts as SVG, so that the page needs no library and no network: `svg` holds what they are drawn with."""
