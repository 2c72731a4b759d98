// Reads UCUM codes, one a line, and says which of them the library of the U.S. National Library of Medicine refuses.
import * as library from '@lhncbc/ucum-lhc'
import { readFileSync } from 'node:fs'

const ucum = (library.default ?? library).UcumLhcUtils.getInstance()
const codes = readFileSync(0, 'utf8').split('\n').filter(Boolean)
// It also mends what it can (a code without its annotation, say): what comes back must be what went in.
const refused = codes.filter((code) => { const said = ucum.validateUnitString(code); return said.status !== 'valid' || said.ucumCode !== code })
console.log(JSON.stringify({ asked: codes.length, refused }))
