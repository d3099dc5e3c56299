// Fetches parts of a page again, every few seconds, while the page is looked at.
// <div data-refresh="/address/" data-refresh-every="5"> … </div>
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const part of document.querySelectorAll("[data-refresh]")) {
    keepFresh(part);
  }
});

function keepFresh(part) {
  const every = Number(part.dataset.refreshEvery) * 1000;
  const note = document.querySelector("[data-refresh-note]");
  let lastGood = new Date();
  let isAsking = false;

  async function refresh() {
    if (document.hidden || isAsking) {
      return;
    }
    isAsking = true;
    try {
      const answer = await fetch(part.dataset.refresh, { credentials: "same-origin" });
      if (answer.redirected) {
        window.location.reload(); // the session has ended: the login says so
        return;
      }
      if (!answer.ok) {
        throw new Error(`status ${answer.status}`);
      }
      const html = await answer.text();
      if (!part.contains(document.activeElement)) {
        part.innerHTML = html; // whoever is on a link with the keyboard stays on it
      }
      lastGood = new Date();
      if (note) {
        note.hidden = true;
      }
    } catch {
      if (note) {
        note.querySelector("[data-refresh-since]").textContent = lastGood.toLocaleTimeString();
        note.hidden = false;
      }
    } finally {
      isAsking = false;
    }
  }

  window.setInterval(refresh, every);
  document.addEventListener("visibilitychange", refresh);
}
