const find = (id) => document.getElementById(id);
const portrait = find("portrait"), recording = find("recording"), video = find("video");
const data = find("preview").dataset, told = {};

function warn(what, words) {
  told[what] ??= document.createElement("li");
  told[what].textContent = words;
  words ? find("list").append(told[what]) : told[what].remove();
  find("problems").hidden = !find("list").hasChildNodes();
}

function watch(medium, what, come) {
  const lost = `The ${what} does not load in this browser: ` + (medium.src.startsWith("file:")
    ? "is the file still there, and was this page opened from disk?"
    : "is its link private or expired, or does it lead to something else?");
  const look = () => {
    const isLost = medium.error || (medium.complete && !medium.naturalWidth);
    const isThere = medium.readyState || medium.naturalWidth;
    if (isLost || isThere) warn(what, isLost ? lost : "");
    if (isThere) come();
  };
  for (const event of ["load", "durationchange", "error"]) medium.addEventListener(event, look);
  look();
}

function place(element, [x1, y1, x2, y2], width, height) {
  const left = `${100 * x1 / width}%`, top = `${100 * y1 / height}%`;
  const size = { width: `${100 * (x2 - x1) / width}%`, height: `${100 * (y2 - y1) / height}%` };
  Object.assign(element.style, { left, top, ...size });
}

function showPortrait() {
  const width = portrait.naturalWidth, height = portrait.naturalHeight;
  const size = `${width}x${height} pixels`;
  find("frame").style.width = `min(${width}px, max(12rem, ${80 * width / height}vh))`;
  for (const name of ["face", "ext"]) {
    const box = data[name].split(",").map(Number), [x1, y1, x2, y2] = box;
    const [line, label] = find("frame").getElementsByClassName(name);
    place(line, box, width, height);
    label.style.right = `clamp(0%, ${100 - 100 * x2 / width}%, 100% - 6rem)`;
    label.style.top = `min(${100 * (name === "ext" ? y1 : y2) / height}%, 100% - 2rem)`;
    line.hidden = label.hidden = false;
    const outside = `${name}_bbox reaches to ${x2},${y2}, outside the picture, which is ${size}.`;
    if (x2 > width || y2 > height) warn(name, `${outside} Is it the one that was detected?`);
    if (name === "ext") showCrop(box);
  }
  const isTaken = Math.min(width, height) >= data.least && Math.max(width, height) <= data.most;
  const sides = `${data.least} to ${data.most}`;
  if (!isTaken) warn("sides", `The picture is ${size}: the service takes sides of ${sides}.`);
}

function showCrop([x1, y1, x2, y2]) {
  const image = new Image(), width = x2 - x1, height = y2 - y1;
  image.alt = "The part of the portrait in ext_bbox";
  image.src = portrait.src;
  place(image, [-x1, -y1, portrait.naturalWidth - x1, portrait.naturalHeight - y1], width, height);
  find("crop").style.aspectRatio = `${width} / ${height}`;
  find("crop").replaceChildren(image);
}

function showLength() {
  const known = recording.dataset.seconds, seconds = Number(known ?? recording.duration);
  if (!Number.isFinite(seconds)) return;
  const about = `about ${seconds.toFixed(1)} s`;
  const length = known ? `is ${known} s long` : `has ${about} in this browser`;
  const words = `The recording ${length}: the service takes less than ${data.tooLong} s.`;
  warn("length", seconds >= data.tooLong ? words : "");
  if (known) return;
  find("length").textContent = about;
  find("price").textContent = `about CNY ${(seconds * data.price).toFixed(2)}`;
}

find("copy")?.addEventListener("click", () => {
  getSelection().selectAllChildren(find("command"));
  const isCopied = document.execCommand?.("copy");
  find("copied").textContent = isCopied ? "Copied." : "It is selected: copy it with the keyboard.";
});
watch(portrait, "picture", showPortrait);
if (recording) watch(recording, "recording", showLength);
if (video) watch(video, "video", () => {});
