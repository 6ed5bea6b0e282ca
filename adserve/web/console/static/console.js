// What pages of the console do beyond links and forms. All of them work without it.
"use strict";
document.documentElement.classList.add("scripted");
const said = (words) => {
  const place = document.createElement("div");
  place.className = "unseen";
  place.setAttribute("role", "status");
  document.body.append(place);
  setTimeout(() => { place.textContent = words; }, 50);
  setTimeout(() => place.remove(), 4000);
};

// Narrow screens begin with a closed menu.
if (matchMedia("(max-width: 820px)").matches) document.querySelector(".menu")?.removeAttribute("open");

document.addEventListener("click", async (event) => {
  const copy = event.target.closest("[data-copy]");
  if (!copy) return;
  const text = document.querySelector(copy.dataset.copy).textContent;
  try {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
    said("Copied");
  } catch {
    getSelection().selectAllChildren(document.querySelector(copy.dataset.copy));
  }
});

// A question before what cannot be undone by the next click.
document.addEventListener("submit", (event) => {
  const ask = event.submitter?.dataset.ask;
  if (ask && !confirm(ask)) event.preventDefault();
});

// What changes something is sent once. Its buttons stop after the browser took what they say, and are there again when
// the page is shown again, as by going back.
const sent = new Set();
const stop = (form, still) => [...form.elements].forEach((one) => { if (one.matches("button")) one.disabled = still; });
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) { event.preventDefault(); return; }
  sent.add(form);
  setTimeout(() => stop(form, true));
});
addEventListener("pageshow", () => {
  sent.forEach((form) => stop(form, false));
  sent.clear();
});

// Keys for a button, link or field, several parted by blanks; not while something is being typed, which Escape ends, and
// not where a key has a use of its own. A key that is held counts once: the page after next has been looked at by nobody.
const used = (key, at) => {
  const region = key.startsWith("Arrow") && at.closest(".stage, .scroll, pre");
  return key === "Enter" ? at.closest("a, button, summary") : region && region.scrollWidth > region.clientWidth;
};
document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  const field = event.target.closest("input, select, textarea, [contenteditable]");
  if (field && event.key === "Escape") field.blur();
  if (field || used(event.key, event.target)) return;
  const wanted = [...document.querySelectorAll("[data-key]")].find((one) => one.dataset.key.split(" ").includes(event.key));
  if (!wanted) return;
  event.preventDefault();
  if (wanted.matches("input, select, textarea")) wanted.focus();
  else wanted.click();
});

// What a file weighs and measures is told before it is sent; the service judges for itself.
document.addEventListener("change", async (event) => {
  const field = event.target.closest("input[type=file][data-tells]");
  if (!field) return;
  const place = document.getElementById(field.dataset.tells);
  place.textContent = "";
  for (const file of field.files) {
    let size = "";
    try {
      const picture = await createImageBitmap(file);
      size = `${picture.width}×${picture.height}, `;
      picture.close();
    } catch { /* no picture, as far as this browser can tell */ }
    place.textContent += `${file.name}: ${size}${Math.ceil(file.size / 1000)} kB. `;
  }
});

// A part that is asked for again and again waits while the focus is in it, and while nobody sees it.
document.addEventListener("htmx:before:request", (event) => {
  const part = event.target;
  const again = part.getAttribute?.("hx-trigger")?.startsWith("every");
  if (again && (document.hidden || part.contains(document.activeElement))) event.preventDefault();
});

