// Redraws the live part every two seconds, except while one of its buttons has the focus.
const now = document.getElementById("now");

async function redraw() {
  if (document.hidden || now.contains(document.activeElement)) return;
  try {
    const response = await fetch("/control/now");
    if (response.ok) now.innerHTML = await response.text();
  } catch {
    // The sandbox is restarting: the next call tries again.
  }
}

setInterval(redraw, 2000);
