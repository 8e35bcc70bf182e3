"""Charts as SVG, drawn here so that the page needs no library and no network."""
