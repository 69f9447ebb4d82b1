"use strict";
// Everything on the page follows one time: the video's, or a clock of our own where it can't play.
const data = JSON.parse(document.getElementById("data").textContent);
const ticks = data.ticks, map = data.map, end = ticks[ticks.length - 1].t;
const video = document.querySelector("video"), canvas = document.querySelector("canvas");
const slider = document.getElementById("at"), play = document.getElementById("play");
const rate = document.getElementById("rate"), now = document.getElementById("now");
const pen = canvas.getContext("2d"), scale = canvas.width / (map.y[1] - map.y[0]);
const across = y => (map.y[1] - y) * scale, down = x => (map.x[1] - x) * scale;
let time = 0, running = false, last = 0, shown = -1, playable = true;

const grids = new Map();
function grid(index) {
  if (!grids.has(index)) {
    const image = new Image();
    image.onload = () => index === shown && draw(index);
    image.src = "data:image/png;base64," + ticks[index].grid;
    grids.set(index, image);
    if (grids.size > 60) grids.delete(grids.keys().next().value);
  }
  return grids.get(index);
}

function tickAt(t) {
  let low = 0, high = ticks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (ticks[middle].t <= t + 1e-3) low = middle; else high = middle - 1;
  }
  return low;
}

function draw(index) {
  const tick = ticks[index], image = grid(index);
  pen.fillStyle = "#0d1117";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  if (image.complete && image.width) {
    pen.imageSmoothingEnabled = true;
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
  pen.lineWidth = 1;
  pen.font = "20px system-ui, sans-serif";
  pen.textAlign = "center";
  for (let metres = 10; metres < map.x[1]; metres += 10) {
    pen.strokeStyle = "rgba(226,232,240,.16)";
    pen.beginPath();
    pen.arc(across(0), down(0), metres * scale, 0, 2 * Math.PI);
    pen.stroke();
    pen.fillStyle = "rgba(226,232,240,.55)";
    pen.fillText(metres + " m", across(0), down(metres) - 5);
  }
  pen.fillStyle = "#e2e8f0";
  pen.beginPath();
  pen.roundRect(across(0.95), down(3.7), 1.9 * scale, 4.7 * scale, 8);
  pen.fill();
  const seen = new Set(tick.objects.map(one => one[1]).filter(id => id));
  for (let back = index - 1; back >= 0 && tick.t - ticks[back].t < 2; back--) {
    const faint = 0.4 * (1 - (tick.t - ticks[back].t) / 2);
    for (const [kind, id, x, y] of ticks[back].objects) {
      if (!seen.has(id)) continue;
      pen.globalAlpha = faint;
      pen.fillStyle = data.classes[kind].colour;
      pen.beginPath();
      pen.arc(across(y), down(x), 4, 0, 2 * Math.PI);
      pen.fill();
    }
  }
  pen.globalAlpha = 1;
  for (const [kind, , x, y, length, width] of tick.objects) {
    pen.fillStyle = data.classes[kind].colour + "59";
    pen.strokeStyle = data.classes[kind].colour;
    pen.lineWidth = 2.5;
    pen.beginPath();
    const w = Math.max(width * scale, 10), h = Math.max(length * scale, 10);
    pen.roundRect(across(y) - w / 2, down(x) - h / 2, w, h, 4);
    pen.fill();
    pen.stroke();
  }
  canvas.dataset.objects = tick.objects.length;
}

function show(t) {
  time = Math.min(Math.max(t, 0), end);
  const index = tickAt(time), tick = ticks[index];
  slider.value = end ? time / end : 0;
  for (const cursor of document.querySelectorAll(".cursor")) {
    const share = end ? time / end : 0;
    cursor.style.left = `calc(var(--names) + (100% - var(--names)) * ${share})`;
  }
  if (index === shown) return;
  shown = index;
  const counts = data.classes.map((one, kind) => {
    const count = tick.objects.filter(object => object[0] === kind).length;
    return count || one.name !== "other" ? `${count} ${one.name}${count === 1 ? "" : "s"}` : "";
  }).filter(text => text);
  const unwell = Object.entries(tick.unwell).map(([name, state]) => `${name} ${state}`);
  now.replaceChildren(Object.assign(document.createElement("b"), {
    textContent: `${tick.t.toFixed(2)} s, tick ${tick.index}`,
  }), ` ${tick.ms.toFixed(0)} ms; ${counts.join(", ")}; ${unwell.join(", ") || "all cameras ok"}`);
  draw(index);
}

function seek(t) {
  if (playable) video.currentTime = Math.min(Math.max(t, 0), end) + 1e-3;
  show(t);
}

function run(on) {
  running = on;
  play.textContent = on ? "Pause" : "Play";
  if (on && time >= end - 1e-3) seek(0);
  if (playable) { if (on) video.play(); else video.pause(); }
  if (on) { last = performance.now(); requestAnimationFrame(step); }
}

function step(stamp) {
  if (!running) return;
  if (playable) show(video.currentTime);
  else show(time + Math.max(0, stamp - last) / 1000 * rate.value);
  last = stamp;
  if (playable ? video.ended : time >= end) run(false);
  else requestAnimationFrame(step);
}

function withoutVideo() {
  playable = false;
  video.parentElement.classList.add("unplayable");
  document.documentElement.dataset.video = "unplayable";
}
video.addEventListener("error", withoutVideo);
video.addEventListener("loadeddata", () => { document.documentElement.dataset.video = "plays"; });
if (video.error) withoutVideo();
else if (video.readyState >= 2) document.documentElement.dataset.video = "plays";
play.addEventListener("click", () => run(!running));
rate.addEventListener("change", () => { video.playbackRate = rate.value; });
slider.addEventListener("input", () => { run(false); seek(slider.value * end); });
for (const lane of document.querySelectorAll(".lane svg")) {
  lane.addEventListener("click", event => {
    const box = lane.getBoundingClientRect();
    run(false);
    seek((event.clientX - box.left) / box.width * end);
  });
}
for (const button of document.querySelectorAll("[data-t]")) {
  button.addEventListener("click", () => {
    run(false);
    seek(Number(button.dataset.t));
    document.querySelector(".drive").scrollIntoView({ block: "center" });
  });
}
document.addEventListener("keydown", event => {
  if (event.target.matches("input, select, button")) return;
  if (event.key === " ") { event.preventDefault(); run(!running); }
  const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (move) {
    run(false);
    seek(ticks[Math.min(Math.max(shown + move, 0), ticks.length - 1)].t);
  }
});
show(0);
document.documentElement.dataset.ready = "yes";
