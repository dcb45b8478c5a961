import { execFileSync } from 'node:child_process';

/** Tests start what would be deployed, so it must be of these sources. */
export default function build(): void {
  execFileSync('npm', ['run', '--silent', 'build'], { stdio: 'inherit' });
}
