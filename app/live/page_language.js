// Says which language the page is in, for screen readers, hyphenation and the choice of glyphs.

export default function (component) {
  document.documentElement.lang = component.data.page.html;
}
