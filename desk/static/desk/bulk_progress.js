"use strict";

// Polls the progress of a bulk action while it is in progress and the page is visible.
(() => {
    const bulk = document.getElementById("bulk");
    const POLL_MS = 1000;
    let timer = null;

    const cell = (row, content) => {
        row.insertCell().append(content);
    };

    const show = (progress) => {
        document.getElementById("bulk-state").textContent = progress.state;
        document.getElementById("bulk-bar").value = progress.processed;
        for (const [outcome, count] of Object.entries(progress.counts)) {
            bulk.querySelector(`[data-count="${outcome}"]`).textContent = count;
        }
        const rows = document.getElementById("bulk-not-done");
        rows.replaceChildren();
        for (const item of progress.not_done) {
            const row = rows.insertRow();
            const link = document.createElement("a");
            const id = document.createElement("code");
            link.href = item.url;
            id.textContent = item.order;
            link.append(id);
            cell(row, link);
            cell(row, item.outcome);
            cell(row, item.message);
        }
        const stop = document.getElementById("bulk-stop");
        if (stop) stop.hidden = progress.has_ended;
        return progress.has_ended;
    };

    const poll = async () => {
        timer = null;
        if (document.hidden) return;
        try {
            const response = await fetch(bulk.dataset.url, { redirect: "error" });
            if (response.ok && show(await response.json())) return;
            if (response.status === 403 || response.status === 404) return;
        } catch {
            // The desk did not answer: try again.
        }
        timer = setTimeout(poll, POLL_MS);
    };

    if (bulk.dataset.ended === "1") return;
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && timer === null) poll();
    });
    timer = setTimeout(poll, POLL_MS);
})();
