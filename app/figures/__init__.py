"""Pure pictures: a result goes in, a PIL image, a plotly figure or a piece of HTML comes out."""
