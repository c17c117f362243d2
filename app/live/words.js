// Sentences of the page in the visitor's language; app/live/__init__.py puts this first in every
// component. The code is written in English, Python sends what each sentence is in another one.

let strings = {};

// Takes the sentences that came with a component's data.
export function speak(data) {
  strings = data.strings ?? {};
}

// "{a} of {b}" with the values of an object.
export function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

// A sentence: English, literally in the code so that a test finds it, and what is put into it.
export function say(text, values = {}) {
  return fill(strings[text] ?? text, values);
}
