import { REPOSITORY, VERSION } from '../config/version.ts';
import type { Handler } from '../http/router.ts';
import { escapeHtml, fillTemplate, pageHandler, readAsset } from './page.ts';

export interface LandingOptions {
  /** True if this server has the playground, so that the page links to it. */
  readonly playground?: boolean;
  /** The address of the sources. Without one the page has no links to them. */
  readonly repository?: string | undefined;
}

/** `GET /`: tells a person who opens the address what is running here. */
export function landingPage({
  playground = false,
  repository = REPOSITORY,
}: LandingOptions = {}): Handler {
  const links = [
    ...(playground
      ? [link('/test', 'Playground', 'try it, here and now; in development only')]
      : []),
    ...(repository === undefined
      ? []
      : [
          link(`${repository}#readme`, 'Documentation', 'how to subscribe and broadcast'),
          link(repository, 'Source code', 'MIT licence'),
        ]),
    link('/info.json', '/info.json', 'how many subscriptions and deliveries'),
    link('/healthz', '/healthz', 'whether it takes connections'),
  ];
  return pageHandler({
    title: 'Bifröst',
    style: readAsset('landing.css'),
    body: fillTemplate(readAsset('landing.html'), {
      version: escapeHtml(VERSION),
      links: links.join('\n'),
    }),
  });
}

function link(href: string, name: string, what: string): string {
  return `<li><a href="${escapeHtml(href)}">${escapeHtml(name)}</a> <span>${escapeHtml(what)}</span></li>`;
}
