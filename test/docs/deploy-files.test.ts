import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { variableNames } from '../../src/config/settings.ts';
import { README } from '../support/snippets.ts';

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8');
const app = JSON.parse(read('app.json'));
const manifest = JSON.parse(read('package.json'));

describe('Procfile', () => {
  it('starts Node itself, so that nothing stands between SIGTERM and the server', () => {
    expect(read('Procfile')).toBe('web: node dist/main.js\n');
  });
});

describe('Dockerfile', () => {
  it('starts what the Procfile starts', () => {
    const cmd = /^CMD (.*)$/m.exec(read('Dockerfile'))?.[1] ?? '';
    expect(`web: ${JSON.parse(cmd).join(' ')}\n`).toBe(read('Procfile'));
  });
});

describe('app.json', () => {
  it('has only fields that Heroku knows', () => {
    const known =
      'addons buildpacks description env environments formation image keywords logo name repository scripts stack success_url website';
    expect(known.split(' ')).toEqual(expect.arrayContaining(Object.keys(app)));
    for (const variable of Object.values<object>(app.env)) {
      expect(['description', 'generator', 'required', 'value']).toEqual(
        expect.arrayContaining(Object.keys(variable)),
      );
    }
  });

  it('says what the app is', () => {
    expect(app.name).toMatch(/Bifröst/);
    // Heroku cuts names off there.
    expect(app.name.length).toBeLessThanOrEqual(30);
    expect(app.description).toBe(manifest.description);
    expect(app.keywords).toContain('websocket');
  });

  it('is deployed from the repository whose page has the button, since none is named', () => {
    expect(README).toContain('](https://heroku.com/deploy)');
    expect(README).toContain('git clone <this repository> ');
    expect(app.repository).toBeUndefined();
  });

  it('has Heroku make the secret', () => {
    expect(app.env.JWT_SECRET).toEqual({
      description: expect.stringMatching(/\w/),
      generator: 'secret',
    });
  });

  it('runs the server in production', () => {
    expect(app.env.NODE_ENV).toEqual({
      description: expect.stringMatching(/\w/),
      value: 'production',
    });
  });

  it('sets only variables that the server reads', () => {
    expect(variableNames).toEqual(expect.arrayContaining(Object.keys(app.env)));
  });

  it('is built by the Node buildpack', () => {
    expect(app.buildpacks).toEqual([{ url: 'heroku/nodejs' }]);
    expect(manifest.scripts.build).toBeDefined();
  });
});

describe('package.json', () => {
  it('has the command line, which a shell can run', () => {
    expect(manifest.bin).toEqual({ bifrost: 'bin/bifrost.cjs' });
    expect(read('bin/bifrost.cjs')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it('says of every install script whether npm may run it, so that npm ci has nothing to ask', () => {
    const { packages } = JSON.parse(read('package-lock.json'));
    const names = Object.entries<{ hasInstallScript?: boolean }>(packages).flatMap(
      ([path, { hasInstallScript }]) =>
        hasInstallScript ? path.replace(/.*node_modules\//, '') : [],
    );
    // Its binary is a package of its own; the script would only save its launcher a few milliseconds.
    expect(manifest.allowScripts).toEqual({ esbuild: false });
    expect(Object.keys(manifest.allowScripts)).toEqual(names);
  });

  it('asks for the oldest Node that CI tests', () => {
    const matrix = /node: \[(.*)\]/.exec(read('.github/workflows/ci.yml'))?.[1];
    expect(matrix).toBe('20, 22, 24, 26');
    expect(manifest.engines.node).toMatch(/^>=20\./);
  });

  it('asks for the Node version that the README names', () => {
    const minimum = /^>=(.*)$/.exec(manifest.engines.node)?.[1];
    expect(README).toContain(`Node ${minimum} or later`);
  });
});

describe('the CI workflow', () => {
  it('runs what a developer runs', () => {
    const steps = [...read('.github/workflows/ci.yml').matchAll(/- run: (.*)/g)].map(
      ([, run]) => run,
    );
    expect(steps).toEqual(['npm ci', 'npm run check', 'npm run build']);
  });
});
