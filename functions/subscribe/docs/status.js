// Asks for a token, keeps it for this tab only, and shows the page that the server wrote, which has no script.
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
  const page = new DOMParser().parseFromString(text, "text/html"); // what it holds never runs
  document.documentElement.replaceWith(document.adoptNode(page.documentElement));
}

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  show(document.getElementById("token").value.trim());
});
if (sessionStorage.getItem("token")) show(sessionStorage.getItem("token"));
