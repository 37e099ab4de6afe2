import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../base/errors.js'
import { isHubName } from './name.js'
import { readSettings } from './settings.js'

describe('the cache folder', () => {
  it.each([
    [{}, join(homedir(), '.cache/huggingface/hub')],
    [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
    [{ XDG_CACHE_HOME: '/xdg', HF_HOME: '/home' }, '/home/hub'],
    [{ HF_HOME: '/home', HUGGINGFACE_HUB_CACHE: '/old' }, '/old'],
    [{ HF_HOME: '/home', HUGGINGFACE_HUB_CACHE: '/old', HF_HUB_CACHE: '/cache' }, '/cache'],
    [{ HF_HUB_CACHE: '~/cache' }, join(homedir(), 'cache')],
    [{ HF_HUB_CACHE: '$SCRATCH/a${B}$NONE', SCRATCH: '/scratch', B: 'b' }, '/scratch/ab$NONE'],
    [{ HF_HUB_CACHE: '', HF_HOME: '' }, join(homedir(), '.cache/huggingface/hub')],
  ])('with %j', async (env, cache) => {
    expect((await readSettings(env)).cache).toBe(cache)
  })
})

it('the hub is that of HF_ENDPOINT, if it is an address', async () => {
  expect((await readSettings({})).endpoint).toBe('https://huggingface.co')
  expect((await readSettings({ HF_ENDPOINT: 'http://mirror:8080/hf/' })).endpoint).toBe('http://mirror:8080/hf')
  for (const HF_ENDPOINT of ['mirror', 'file:///x', 'https://user:secret@mirror', 'https://mirror/?a'])
    await expect(readSettings({ HF_ENDPOINT })).rejects.toThrow(ConfigError)
})

it('names of models are what the hub allows, and no paths', () => {
  for (const name of ['google/switch-base-8', 'a/b', 'A_1/x.y-z_', '0/0']) expect(isHubName(name), name).toBe(true)
  for (const name of [
    '',
    't5-small',
    'a/b/c',
    '/a/b',
    'a/',
    './a',
    '../a',
    'a/..',
    'a/.b',
    'a/b.',
    'a/b-',
    '-a/b',
    'a--b/c',
    'a/b..c',
    'a/b.git',
    'a/b c',
    'a\\b',
    'a/b\n',
    'ä/b',
    `a/${'b'.repeat(97)}`,
  ]) {
    expect(isHubName(name), name).toBe(false)
  }
})
