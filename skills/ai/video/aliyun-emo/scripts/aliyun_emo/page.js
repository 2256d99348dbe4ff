"use strict";
const find = (id) => document.getElementById(id);
const data = find("preview").dataset;
const boxes = { face: data.face.split(",").map(Number), ext: data.ext.split(",").map(Number) };
const portrait = find("portrait"), recording = find("recording"), video = find("video");
const list = find("problems").querySelector("ul"), told = new Map();

function warn(what, words) {
  const item = told.get(what) || document.createElement("li");
  told.set(what, item);
  item.textContent = words;
  if (words) list.append(item);
  else item.remove();
  find("problems").hidden = !list.childElementCount;
}

function showPortrait() {
  const width = portrait.naturalWidth, height = portrait.naturalHeight;
  const sides = [Math.min(width, height), Math.max(width, height)];
  const outline = ([x1, y1, x2, y2]) => `M${x1} ${y1}H${x2}V${y2}H${x1}Z`;
  const frame = find("frame");
  frame.classList.add("shown");
  frame.style.aspectRatio = `${width} / ${height}`;
  frame.style.width = `min(100%, ${width}px, max(12rem, ${80 * width / height}vh))`;
  find("overlay").setAttribute("viewBox", `0 0 ${width} ${height}`);
  find("dim").setAttribute("d", outline([0, 0, width, height]) + outline(boxes.ext));
  for (const [name, box] of Object.entries(boxes)) {
    const lines = frame.querySelectorAll(`path.${name}`);
    lines.forEach((line) => line.setAttribute("d", outline(box)));
    placeLabel(frame.querySelector(`.label.${name}`), box, name === "ext" ? box[1] : box[3]);
    if (box[2] > width || box[3] > height) {
      warn(name, `${name}_bbox reaches to ${box[2]},${box[3]}, outside the picture, which is`
        + ` ${width}x${height} pixels: is it the picture that was detected?`);
    }
  }
  if (sides[0] < data.least || sides[1] > data.most) {
    warn("sides", `The picture is ${width}x${height} pixels: the service takes sides of`
      + ` ${data.least} to ${data.most}.`);
  }
  showCrop(width, height, boxes.ext);
}

function placeLabel(label, [x1, , x2, y2], top) {
  const width = portrait.naturalWidth, height = portrait.naturalHeight;
  const share = (part, whole) => `${100 * Math.max(0, part) / whole}%`;
  if (top > 0.93 * height) label.style.bottom = share(height - y2, height);
  else label.style.top = share(top, height);
  if (x1 + x2 > width) label.style.right = share(width - x2, width);
  else label.style.left = share(x1, width);
  label.hidden = false;
}

function showCrop(width, height, [x1, y1, x2, y2]) {
  const crop = find("crop"), image = new Image();
  crop.style.aspectRatio = `${x2 - x1} / ${y2 - y1}`;
  image.style.width = `${100 * width / (x2 - x1)}%`;
  image.style.height = `${100 * height / (y2 - y1)}%`;
  image.style.left = `${-100 * x1 / (x2 - x1)}%`;
  image.style.top = `${-100 * y1 / (y2 - y1)}%`;
  image.alt = "";
  image.src = portrait.src;
  crop.append(image);
  crop.hidden = false;
}

function lose(medium, what) {
  const why = medium.src.startsWith("file:")
    ? "is the file still there, and was this page opened from disk?"
    : "is its link private or expired, or does it lead to something else?";
  warn(what, `The ${what} does not load in this browser: ${why}`);
}

function showLength() {
  const known = Number(recording.dataset.seconds), seconds = known || recording.duration;
  if (!Number.isFinite(seconds) || !seconds) return;
  if (!known) {
    find("length").textContent = `about ${seconds.toFixed(1)} s`;
    find("price").textContent = `about CNY ${(seconds * data.price).toFixed(2)}`;
  }
  const length = known ? `is ${known} s long` : `has about ${seconds.toFixed(1)} s in this browser`;
  warn("length", seconds >= data.tooLong
    ? `The recording ${length}: the service takes less than ${data.tooLong} s.` : "");
}

function watch(medium, what, come) {
  medium.addEventListener("error", () => lose(medium, what));
  medium.addEventListener("durationchange", come);
  if (medium.error) lose(medium, what);
  else if (medium.readyState > 0) come();
}

function wait(medium, what, come) {
  setTimeout(() => {
    if (!come() && !told.has(what)) warn(what, `The ${what} has not loaded yet.`);
    medium.addEventListener("load", () => warn(what, ""));
    medium.addEventListener("loadedmetadata", () => warn(what, ""));
  }, data.patience);
}

async function copy() {
  let said = "Copied.";
  try {
    await navigator.clipboard.writeText(find("command").textContent);
  } catch {
    getSelection().selectAllChildren(find("command"));
    if (!document.execCommand("copy")) said = "It is selected: copy it with the keyboard.";
  }
  find("copied").textContent = said;
}

if (!portrait.complete) {
  portrait.addEventListener("load", showPortrait);
  portrait.addEventListener("error", () => lose(portrait, "picture"));
} else if (portrait.naturalWidth) showPortrait();
else lose(portrait, "picture");
wait(portrait, "picture", () => portrait.complete);
if (recording) {
  watch(recording, "recording", showLength);
  wait(recording, "recording", () => recording.readyState > 0);
}
if (video) watch(video, "video", () => {});
if (find("copy")) {
  find("copy").hidden = false;
  find("copy").addEventListener("click", copy);
}
