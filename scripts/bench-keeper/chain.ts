// The bench's chain, in a process of its own: what it takes is not the keeper's time.
import { network } from "hardhat";

const HOST = "127.0.0.1";

const server = await network.createServer("default", HOST, 0);
const { port } = await server.listen();
process.send!(`http://${HOST}:${port}`);
process.once("disconnect", () => process.exit());
