// Whether the types of a package fit how it is resolved: types.mjs TOOLS PACKAGE
//
// Asks arethetypeswrong, which is installed in the folder TOOLS, about the folder PACKAGE: what npm would pack of it. Prints
// what is wrong, and ends with 1 then.
import fs from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [tools, folder] = process.argv.slice(2);
const core = createRequire(path.resolve(tools, 'x')).resolve('@arethetypeswrong/core');
const { Package, checkPackage } = await import(pathToFileURL(core));

const { name, version, files } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
const packed = ['package.json', ...files]
  .map((entry) => path.join(folder, entry))
  .filter((entry) => fs.existsSync(entry))
  .flatMap((entry) => (fs.statSync(entry).isDirectory() ? fs.readdirSync(entry).map((inner) => path.join(entry, inner)) : entry))
  .filter((file) => /\.(json|m?[jt]s)$/.test(file))
  .map((file) => [`/node_modules/${name}/${path.relative(folder, file)}`, fs.readFileSync(file, 'utf8')]);

const { types, problems, entrypoints } = await checkPackage(new Package(Object.fromEntries(packed), name, version));
const ways = Object.values(entrypoints['.'].resolutions);
if (!types || ways.length < 4 || ways.some(({ resolution }) => !resolution)) problems.push({ kind: 'NoTypes' });
for (const problem of problems) console.log(`types: ${JSON.stringify(problem)}`);
process.exitCode = problems.length > 0 ? 1 : 0;
