// A box that takes a picture from the clipboard, on Ctrl+V anywhere on the page or when pressed.
// Python checks everything again: nothing here is to be trusted.

const boxes = []; // of this page, in the order they were mounted
const mounted = new WeakMap(); // parentElement -> what to say, and how to send

const tooFew = () => say("There is no picture in the clipboard: copy one, then press Ctrl+V here.");
const noAccess = () => say("The browser does not let this page read the clipboard: press Ctrl+V instead.");

// The first picture among the clipboard's items, or null.
export function pictureOf(clipboard) {
  for (const item of clipboard?.items ?? []) {
    if (item.kind === "file" && item.type.startsWith("image/")) return item.getAsFile();
  }
  return null;
}

// The sentence that refuses a file by its size, or "".
export function refusal(bytes, maxBytes) {
  if (bytes === 0) return say("The picture in the clipboard is empty.");
  if (bytes <= maxBytes) return "";
  const size = (bytes / 1e6).toFixed(1);
  return say("This picture has {size} MB, more than {most} MB: paste a smaller one.", {
    size, most: maxBytes / 1e6,
  });
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",", 2)[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

async function send(box, file) {
  const no = refusal(file.size, box.maxBytes);
  box.tell(no || say("Sending the picture ..."));
  if (no) return;
  try {
    box.trigger({ data: await base64(file) });
    box.tell("");
  } catch {
    box.tell(say("The picture could not be read: copy it again."));
  }
}

async function readClipboard(box) {
  if (!navigator.clipboard?.read) return box.tell(noAccess());
  try {
    for (const item of await navigator.clipboard.read()) {
      const kind = item.types.find((type) => type.startsWith("image/"));
      if (kind) return send(box, await item.getType(kind));
    }
    box.tell(tooFew());
  } catch {
    box.tell(noAccess());
  }
}

// Of several boxes, the one with the focus takes what is pasted, else the first.
function onPaste(event) {
  const box = boxes.find((each) => each.hasFocus()) ?? boxes[0];
  const file = pictureOf(event.clipboardData);
  if (!box || event.defaultPrevented) return;
  if (file) {
    event.preventDefault();
    send(box, file);
  } else if (box.hasFocus()) {
    box.tell(tooFew());
  }
}

function mount(parent) {
  const button = document.createElement("button");
  const words = document.createElement("p");
  button.type = "button";
  words.setAttribute("role", "status");
  parent.querySelector(".root").replaceChildren(button, words);
  const box = {
    button,
    tell: (text) => (words.textContent = text),
    hasFocus: () => (parent.activeElement ?? document.activeElement) === button,
  };
  button.onclick = () => readClipboard(box);
  if (!boxes.length) document.addEventListener("paste", onPaste);
  boxes.push(box);
  mounted.set(parent, box);
  return box;
}

function unmount(parent) {
  boxes.splice(boxes.indexOf(mounted.get(parent)), 1);
  mounted.delete(parent);
  if (!boxes.length) document.removeEventListener("paste", onPaste);
}

export default function (component) {
  const { data: { page: data }, parentElement, setTriggerValue } = component;
  speak(data);
  const box = mounted.get(parentElement) ?? mount(parentElement);
  box.button.textContent = say("paste a picture (Ctrl+V)");
  box.maxBytes = data.max_bytes;
  box.trigger = (picture) => setTriggerValue("picture", picture);
  return () => unmount(parentElement);
}
