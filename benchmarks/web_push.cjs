// One sender of the comparison: `node web_push.cjs FILE SECONDS` sends with web-push, 100 at once, over connections that
// are kept, as `benchmarks/library_senders.py` does; what it reads and prints is the same. NODE_PATH leads to web-push.
'use strict';

const fs = require('fs');
const https = require('https');
const webpush = require('web-push');

const AT_ONCE = 100;
const WARM_UP_S = 1;

const [file, seconds] = process.argv.slice(2);
const load = JSON.parse(fs.readFileSync(file, 'utf8'));
const agent = new https.Agent({ keepAlive: true, maxSockets: AT_ONCE, maxFreeSockets: AT_ONCE, scheduling: 'lifo' });
const options = {
  agent,
  TTL: 86400,
  urgency: 'high',
  vapidDetails: { subject: 'mailto:push@example.com', publicKey: load.public_key, privateKey: load.private_key },
};

const now = () => Number(process.hrtime.bigint()) / 1e9;
const begins = now() + WARM_UP_S;
let next = 0;
let sends = 0;
let began = null;
let counted = null;

function goesOn() {
  if (counted) return false;
  const at = now();
  if (!began) {
    if (at >= begins) began = { at, cpu: process.cpuUsage() };
    return true;
  }
  sends += 1;
  if (at - began.at < Number(seconds)) return true;
  const cpu = process.cpuUsage(began.cpu);
  counted = { sends, seconds: at - began.at, cpu_s: (cpu.user + cpu.system) / 1e6 };
  return false;
}

async function worker() {
  do {
    const device = load.devices[next++ % load.devices.length];
    const answer = await webpush.sendNotification(device, load.message, options);
    if (answer.statusCode !== 201) throw new Error(`answered with ${answer.statusCode}`);
  } while (goesOn());
}

Promise.all(Array.from({ length: AT_ONCE }, worker)).then(() => {
  console.log(JSON.stringify(counted));
  process.exit(0);
});
