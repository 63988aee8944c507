import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A webhook on a free port that keeps what it takes; `answers` with this status. */
export async function openWebhook() {
  const bodies: Record<string, unknown>[] = [];
  const hook = { url: "", bodies, answers: 200, close: async () => closeServer(server) };
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk: Buffer) => (text += chunk.toString()));
    request.on("end", () => {
      if (hook.answers === 200) bodies.push(JSON.parse(text) as Record<string, unknown>);
      response.writeHead(hook.answers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  hook.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return hook;
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise<void>((resolve) => void server.close(() => resolve()));
}
