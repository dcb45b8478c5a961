import { execFileSync } from 'node:child_process';

/** The clients talk to what would be deployed, so it must be of these sources. */
export default function build(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
