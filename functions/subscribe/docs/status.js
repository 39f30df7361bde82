// Asks for a token, keeps it for this tab only, and shows the status that the server wrote as a page without script.
const told = document.getElementById("told");

async function show(token) {
  told.textContent = "Loading ...";
  const answer = await fetch("status", { headers: { Accept: "text/html", Authorization: `Bearer ${token}` } });
  const text = await answer.text();
  if (!answer.ok || answer.headers.get("X-Page") !== "status") {
    sessionStorage.removeItem("token");
    told.textContent = answer.ok ? "This token is not valid." : `${answer.status}: ${text.slice(0, 300)}`;
    return;
  }
  sessionStorage.setItem("token", token);
  document.getElementById("ask").hidden = true;
  const page = document.getElementById("page");
  page.srcdoc = text;
  page.hidden = false;
}

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  show(document.getElementById("token").value.trim());
});
if (sessionStorage.getItem("token")) show(sessionStorage.getItem("token"));
