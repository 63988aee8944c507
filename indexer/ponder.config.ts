import { createConfig } from "ponder";

import {
  AccessManagerAbi,
  AccountRecoveryAbi,
  EmergencyBrakeAbi,
  InsuranceFundAbi,
  MarketPairAbi,
  ProtectionOrdersAbi,
  SafeAbi,
  UpgraderAbi,
  VaultAbi,
} from "../sdk/src/abi/index.ts";
import { scene } from "./scene.ts";

const { chainId: id, rpc, startBlock, pollMs, contracts, database } = scene;
const from = { chain: "main", startBlock } as const;

// Ponder asks each URL for 20 answers a second at first; a node of this machine has more, under names of its own.
const LANES = 25;
const isLocal = id === 31337;
const urls = isLocal ? Array.from({ length: LANES }, (_, lane) => `${rpc}/?lane=${lane}`) : rpc;

export default createConfig({
  database:
    "url" in database
      ? { kind: "postgres", connectionString: database.url }
      : { kind: "pglite", directory: database.directory },
  // A node of this machine may be reset or go back; what it said before is not kept.
  chains: { main: { id, rpc: urls, pollingInterval: pollMs, disableCache: isLocal } },
  contracts: {
    Vault: { ...from, abi: VaultAbi, address: scene.markets.map(({ vault }) => vault) },
    InsuranceFund: { ...from, abi: InsuranceFundAbi, address: contracts.insurance },
    EmergencyBrake: { ...from, abi: EmergencyBrakeAbi, address: contracts.brake },
    ProtectionOrders: { ...from, abi: ProtectionOrdersAbi, address: contracts.orders },
    AccountRecovery: { ...from, abi: AccountRecoveryAbi, address: contracts.recovery },
    AccessManager: { ...from, abi: AccessManagerAbi, address: contracts.manager },
    Upgrader: { ...from, abi: UpgraderAbi, address: contracts.upgrader },
    MarketPair: { ...from, abi: MarketPairAbi, address: scene.pairs },
    Safe: { ...from, abi: SafeAbi, address: [scene.safes.pauser, scene.safes.governor] },
  },
  blocks: { Sample: { chain: "main", startBlock: scene.sampleFrom, interval: scene.sampleBlocks } },
});
