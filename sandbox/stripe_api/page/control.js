// Redraws the live part every two seconds, but not under the hands of somebody who uses it.
const now = document.getElementById("now");

async function redraw() {
  if (document.hidden || now.contains(document.activeElement)) return;
  try {
    const answer = await fetch("/control/now");
    if (answer.ok) now.innerHTML = await answer.text();
  } catch {
    // The bank is down for a moment: the next turn will find it back.
  }
}

setInterval(redraw, 2000);
