// Runs a phase of the action in the program for this machine.
//
// The program is the static one of the release. It is in the commit that a release tag points to,
// below bin/ with its SHA-256, so nothing is downloaded when a job runs. The digest finds a damaged
// copy; it does not protect against someone who can change both files.
'use strict';

const { spawn } = require('node:child_process');
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');

const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

// What changes whenever the contents of a file change.
function identify(file) {
  const { dev, ino, size, mtimeNs, ctimeNs } = fs.statSync(file, { bigint: true });
  return [dev, ino, size, mtimeNs, ctimeNs].join('-');
}

// The checked program for this machine. A file that an earlier phase of the step checked is not read
// again: its digest would take as long as the rest of a phase.
function findProgram() {
  const architecture = ARCHITECTURES[process.arch];
  if (process.platform !== 'linux' || !architecture) {
    throw new Error(`there is no program for ${process.platform} on ${process.arch}; leave the step out there`);
  }
  const file = path.join(__dirname, 'bin', `local-cache-${architecture}-linux`);
  if (!fs.existsSync(file)) {
    throw new Error(`${file} does not exist: only release tags contain it; use one, such as v1`);
  }
  const identity = identify(file);
  if (process.env.STATE_PROGRAM === identity) return file;
  const expected = fs.readFileSync(`${file}.sha256`, 'utf8').slice(0, 64);
  const found = createHash('sha256').update(fs.readFileSync(file)).digest('hex');
  if (found !== expected) {
    throw new Error(`${file} is damaged; remove its directory, and the runner downloads the action again`);
  }
  if (process.env.GITHUB_STATE) fs.appendFileSync(process.env.GITHUB_STATE, `PROGRAM=${identity}\n`);
  return file;
}

// A failure to start the program fails the step only if the user asked for that, like every failure
// of the cache.
function fail(error) {
  const fails = process.env['INPUT_FAIL-ON-ERROR'] === 'true';
  console.log(`::${fails ? 'error' : 'warning'} title=local-cache::${error.message}`);
  process.exitCode = fails ? 1 : 0;
}

// phase: pre, main or post; kind: cache, restore or save.
module.exports = (phase, kind) => {
  try {
    // The runner sends the signals of a cancelled step to this process only. The handlers are set
    // before the program starts, because a signal in between would end this process alone.
    for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
    const child = spawn(findProgram(), ['action', '--native', phase, kind], { stdio: 'inherit' });
    child.on('error', fail);
    child.on('exit', (code, signal) => {
      process.exitCode = signal ? 128 + os.constants.signals[signal] : code;
    });
  } catch (error) {
    fail(error);
  }
};
