// Encrypts a file as Patchwork does (`patchwork traces export --mode keyed`).
//
// Usage: node seal.mjs PLAIN SEALED PASSPHRASE
import { createCipheriv, randomBytes, scryptSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const [plain, sealed, passphrase] = process.argv.slice(2);
const salt = randomBytes(16);
const nonce = randomBytes(12);
const key = scryptSync(passphrase, salt, 32, { N: 16384, r: 8, p: 1 });
const cipher = createCipheriv("aes-256-gcm", key, nonce);
const ciphertext = Buffer.concat([cipher.update(readFileSync(plain)), cipher.final()]);
writeFileSync(sealed, Buffer.concat([Buffer.from("PWTRACE\0\x01"), salt, nonce, cipher.getAuthTag(), ciphertext]));
