// A session that ended shows as a note; what was typed stays, and works again once signed in (in another tab).
(() => {
  "use strict";
  const say = (key) => window.vademecumTexts[document.documentElement.lang.startsWith("zh") ? "zh" : "en"][key];
  const asked = window.fetch.bind(window);

  function showOver() {
    if (document.querySelector(".vm-session-over")) return;
    const note = document.createElement("div");
    note.className = "vm-session-over";
    note.setAttribute("role", "alert");
    const text = document.createElement("span");
    text.textContent = say("viewer_session_over");
    const link = document.createElement("a");
    link.href = "/login";
    link.target = "_blank";
    link.rel = "noopener";
    link.textContent = say("viewer_sign_in");
    link.addEventListener("click", () => note.remove());
    note.append(text, link);
    document.body.append(note);
  }

  window.fetch = async (...given) => {
    const answer = await asked(...given);
    if (answer.status === 401) showOver();
    return answer;
  };
})();
