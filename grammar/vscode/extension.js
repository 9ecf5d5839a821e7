// Starts `netspec lsp` and connects the editor to it.

const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

async function activate(context) {
  const [command, ...args] = workspace.getConfiguration("netspec").get("command", ["netspec", "lsp"]);
  client = new LanguageClient(
    "netspec",
    "netspec",
    { command, args },
    { documentSelector: [{ language: "netspec" }] },
  );
  context.subscriptions.push(client);
  await client.start();
}

async function deactivate() {
  if (client) {
    await client.stop();
  }
}

module.exports = { activate, deactivate };
