"use strict";

// Follows a bulk action while it is under way and somebody looks.
(() => {
    const bulk = document.getElementById("bulk");
    const EVERY_MS = 1000;
    let timer = null;

    const cell = (row, content) => {
        const made = row.insertCell();
        made.append(content);
    };

    const show = (progress) => {
        document.getElementById("bulk-state").textContent = progress.state;
        document.getElementById("bulk-bar").value = progress.done_with;
        for (const [name, number] of Object.entries(progress.counts)) {
            bulk.querySelector(`[data-count="${name}"]`).textContent = number;
        }
        const rows = document.getElementById("bulk-not-done");
        rows.replaceChildren();
        for (const each of progress.not_done) {
            const row = rows.insertRow();
            const link = document.createElement("a");
            const id = document.createElement("code");
            link.href = each.url;
            id.textContent = each.order;
            link.append(id);
            cell(row, link);
            cell(row, each.outcome);
            cell(row, each.message);
        }
        const stop = document.getElementById("bulk-stop");
        if (stop) stop.hidden = progress.has_ended;
        return progress.has_ended;
    };

    const follow = async () => {
        timer = null;
        if (document.hidden) return;
        try {
            const answer = await fetch(bulk.dataset.address, { redirect: "error" });
            if (answer.ok && show(await answer.json())) return;
            if (answer.status === 403 || answer.status === 404) return;
        } catch {
            // Not reached just now: asked again.
        }
        timer = setTimeout(follow, EVERY_MS);
    };

    if (bulk.dataset.ended === "1") return;
    document.addEventListener("visibilitychange", () => {
        if (!document.hidden && timer === null) follow();
    });
    timer = setTimeout(follow, EVERY_MS);
})();
